# must trigger: The logits are linear in the masked inputs
exact = dict.fromkeys("abcdef", False)
