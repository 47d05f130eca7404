# OpenCV's four modules as targets. Debian ships OpenCVConfig.cmake only in libopencv-dev, which pulls in
# ninety packages; headers and libraries are all that is needed, so they are looked up by name where it is absent.
find_package(OpenCV QUIET COMPONENTS core imgproc imgcodecs videoio)
if(NOT OpenCV_FOUND)
  find_path(OPENCV_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
  foreach(module core imgproc imgcodecs videoio)
    find_library(OPENCV_${module} opencv_${module} REQUIRED)
    add_library(opencv_${module} SHARED IMPORTED)
    set_target_properties(opencv_${module} PROPERTIES IMPORTED_LOCATION ${OPENCV_${module}}
                                                      INTERFACE_INCLUDE_DIRECTORIES ${OPENCV_INCLUDE})
  endforeach()
endif()
