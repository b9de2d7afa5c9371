# must trigger: companion
from companion.experiments.placement import commutes


def agrees(f, p):
    far = commutes(f, p)
    return far["mask"] < 1e-9, far["scale"] < 1e-9
