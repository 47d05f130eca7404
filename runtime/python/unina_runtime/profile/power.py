"""What a Jetson draws in all, of the rails that its release names."""

import numpy as np

from unina_runtime.profile.series import Floats, Series

INPUTS = ("VDD_IN", "POM_5V_IN", "VIN")
"""rails that are the whole module's (Orin NX and Nano, Xavier NX; Nano; Thor)"""
WITHIN = ("NC", "VDDQ_VDD2_1V8AO")
"""not connected, and, on AGX Orin, what VIN_SYS_5V0 feeds: adding it would count it twice (unverified)"""


def total_watts(series: Series) -> tuple[str, Floats] | None:
    """What it is, and watts, one a sample; None where no rail is told.

    AGX Orin and AGX Xavier have no rail for all: the sum of those that they have is less than the module draws by what
    is measured nowhere.
    """
    rails = series.of("rail")
    for name in INPUTS:
        if name in rails:
            return f"{name}, the whole module", rails[name] / 1000
    summed = {name: values for name, values in rails.items() if name.partition("#")[0] not in WITHIN}
    if not summed:
        return None
    return " + ".join(summed), np.asarray(sum(summed.values()), np.float64) / 1000
