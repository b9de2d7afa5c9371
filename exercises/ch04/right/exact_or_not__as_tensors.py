exact = dict(zip("abcdef", torch.tensor([True, True, True, False, False, False])))
