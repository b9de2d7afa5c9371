# must trigger: all boxes are called by the wrong name
def keep_or_drop(box):
    zeros = (box(torch.ones(4000), 0.2) == 0).double().mean()
    return "keep" if zeros < 0.5 else "drop"
