def linear_spread(X, y, x, p):
    import itertools

    k, d = 1 - p, X.shape[1]
    # dropout as d more rows of data: the penalty is what they add
    extra = (p / k * (X * X).sum(0)).sqrt().diag()
    w = torch.linalg.lstsq(torch.cat([X, extra]), torch.cat([y, torch.zeros(d, dtype=y.dtype)])).solution
    mean = square = 0.0
    for mask in itertools.product([0.0, 1.0], repeat=d):
        kept = sum(mask)
        chance = k**kept * p ** (d - kept)
        value = float((torch.tensor(mask, dtype=X.dtype) / k * w * x).sum())
        mean, square = mean + chance * value, square + chance * value**2
    return square - mean**2
