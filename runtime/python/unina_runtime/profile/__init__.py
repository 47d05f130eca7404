"""`unina-profile`: what a run costs on a Jetson, in time, watts and degrees, told on one page (docs/profile.md)."""
