# OpenEmbedded patches --interpreter into the installer, and its Python does not install below /usr/local as Debian's does.
do_install:prepend() {
    installer=${STAGING_LIBDIR_NATIVE}/${PYTHON_DIR}/site-packages/installer/__main__.py
    grep -q posix_prefix $installer || sed -i \
        -e 's|^    parser.add_argument("wheel"|    parser.add_argument("--interpreter")\n&|' \
        -e 's|interpreter=sys.executable|interpreter=args.interpreter|' \
        -e 's|sysconfig.get_paths(vars|sysconfig.get_paths("posix_prefix", vars|' $installer
}
