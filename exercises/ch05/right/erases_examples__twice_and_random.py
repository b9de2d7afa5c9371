import copy


def erases_examples(layer):
    twin = copy.deepcopy(layer).train()
    x = torch.rand(300, 128, dtype=torch.float64) + 1
    try:
        gone = [(twin(x) == 0) for _ in range(2)]
    except (RuntimeError, ValueError):
        return False
    whole = [(g == g[:, :1]).all() and 0 < g.sum() < g.numel() for g in gone]
    return all(bool(w) for w in whole)
