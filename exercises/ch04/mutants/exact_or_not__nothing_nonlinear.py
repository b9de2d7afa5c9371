# must trigger: All nonlinear layers come before the mask
exact = {"a": True, "b": True, "c": False, "d": False, "e": False, "f": False}
