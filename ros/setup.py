"""Built by colcon: `colcon build --packages-select unina_bridge`."""

from setuptools import setup

setup(
    name="unina_bridge",
    version="0.1.0",
    packages=["unina_bridge"],
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/unina_bridge"]),
        ("share/unina_bridge", ["package.xml"]),
    ],
    entry_points={"console_scripts": ["bridge = unina_bridge.node:main"]},
)
