# must trigger: The mask passes through a ReLU
exact = dict.fromkeys("abcdef", True)
