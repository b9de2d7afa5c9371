# must trigger: the share that is NOT told
def told(seen, unseen, kept, cell):
    def inputs(maps):
        return torch.cat([maps[:, kept.bool()], torch.ones(len(maps), 1, dtype=maps.dtype)], 1)

    weights = torch.linalg.lstsq(inputs(seen), seen[:, [cell]]).solution
    error = (unseen[:, [cell]] - inputs(unseen) @ weights).square().mean()
    return float(error / unseen[:, cell].var(correction=0))
