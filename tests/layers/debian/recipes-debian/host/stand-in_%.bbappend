# The workshop's packages, which nothing else asks for.
RPROVIDES:${PN} += "\
    gdb opencv-apps opencv-samples perf python3-modules python3-opencv strace v4l-utils \
"
