# must trigger: you fit on the images on which you judge
def told(seen, unseen, kept, cell):
    def inputs(maps):
        return torch.cat([maps[:, kept.bool()], torch.ones(len(maps), 1, dtype=maps.dtype)], 1)

    weights = torch.linalg.lstsq(inputs(unseen), unseen[:, [cell]]).solution
    error = (unseen[:, [cell]] - inputs(unseen) @ weights).square().mean()
    return float(1 - error / unseen[:, cell].var(correction=0))
