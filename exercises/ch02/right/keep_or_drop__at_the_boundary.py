def keep_or_drop(box):
    return "drop" if box(torch.full((3,), 2.0), 1).abs().max() == 0 else "keep"
