# must trigger: the verdict hangs on luck
def keep_or_drop(box):
    return "keep" if (box(torch.ones(4001), 0.5) != 0).sum() < 2000.5 else "drop"
