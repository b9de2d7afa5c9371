# must trigger: the fit has no constant
def told(seen, unseen, kept, cell):
    a, b = seen[:, kept.bool()], unseen[:, kept.bool()]
    weights = torch.linalg.lstsq(a, seen[:, [cell]]).solution
    return float(1 - (unseen[:, [cell]] - b @ weights).square().mean() / unseen[:, cell].var(correction=0))
