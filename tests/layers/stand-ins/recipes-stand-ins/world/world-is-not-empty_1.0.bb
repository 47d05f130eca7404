SUMMARY = "A recipe that world can plan before ours are added; providers of virtual/ names do not count"
LICENSE = "CLOSED"

inherit allarch

deltask do_patch
