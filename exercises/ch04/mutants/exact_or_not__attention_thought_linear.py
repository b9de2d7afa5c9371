# must trigger: a nonlinear second block
exact = {"a": True, "b": True, "c": True, "d": False, "e": False, "f": True}
