# must trigger: a standard deviation that depends on the mask
exact = {"a": True, "b": True, "c": True, "d": False, "e": True, "f": False}
