def keep_or_drop(box):
    x = torch.randn(5000, dtype=torch.float64) + 3
    few, many = ((box(x, number) == 0).sum() for number in (0.1, 0.9))
    return "drop" if few < many else "keep"
