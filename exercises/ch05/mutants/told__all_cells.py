# must trigger: the dropped cell is among the inputs
def told(seen, unseen, kept, cell):
    weights = torch.linalg.lstsq(seen, seen[:, [cell]]).solution
    error = (unseen[:, [cell]] - unseen @ weights).square().mean()
    return float(1 - error / unseen[:, cell].var(correction=0))
