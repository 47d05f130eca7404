# NVIDIA's flash layouts end in a partition "UDA", user data, that updates leave alone.
UNINA_DATA_DEVICE:tegra234 ?= "/dev/disk/by-partlabel/UDA"
