# The last install rule of all. The stand-ins of NVIDIA's libraries pretend to be a DLA; on a car that would be a detector
# that detects what a test wants. So an installation ends here when a file of it holds the stand-ins' marker: it is one, or
# was linked to one (tests/runtime/standins/CMakeLists.txt puts the marker into both). What was compiled against invented
# declarations of NvSci (src/cudla/nvsci_minimal.h) bears a marker, too: it works with stand-ins only.
install(CODE [[
  foreach(file IN LISTS CMAKE_INSTALL_MANIFEST_FILES)
    set(path "$ENV{DESTDIR}${file}")
    if(EXISTS "${path}" AND NOT IS_DIRECTORY "${path}")
      file(STRINGS "${path}" marker REGEX "standin_set_faults|UNINA_FAKE_SDK" LIMIT_COUNT 1)
      if(marker)
        file(REMOVE "${path}")
        message(FATAL_ERROR "${file} is a stand-in of a vendor's library, or was made for one: they are for tests and "
                            "must not be installed; the file was removed again. Link it to unina only.")
      endif()
    endif()
  endforeach()
]] ALL_COMPONENTS)
