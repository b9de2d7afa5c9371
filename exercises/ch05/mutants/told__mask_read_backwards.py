# must trigger: the wrong way round
def told(seen, unseen, kept, cell):
    kept = 1 - kept
    kept[cell] = 0

    def inputs(maps):
        return torch.cat([maps[:, kept.bool()], torch.ones(len(maps), 1, dtype=maps.dtype)], 1)

    weights = torch.linalg.lstsq(inputs(seen), seen[:, [cell]]).solution
    error = (unseen[:, [cell]] - inputs(unseen) @ weights).square().mean()
    return float(1 - error / unseen[:, cell].var(correction=0))
