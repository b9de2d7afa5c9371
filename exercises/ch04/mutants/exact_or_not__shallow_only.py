# must trigger: however many linear layers there are
exact = {"a": True, "b": False, "c": True, "d": False, "e": False, "f": False}
