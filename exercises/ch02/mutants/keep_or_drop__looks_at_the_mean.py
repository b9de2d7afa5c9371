# must trigger: that scale their survivors mislead you
def keep_or_drop(box):
    return "keep" if box(torch.ones(4000), 0.2).mean() < 0.5 else "drop"
