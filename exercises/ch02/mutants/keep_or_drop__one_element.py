# must trigger: the verdict hangs on luck
def keep_or_drop(box):
    return "keep" if box(torch.ones(1), 0.2).item() == 0 else "drop"
