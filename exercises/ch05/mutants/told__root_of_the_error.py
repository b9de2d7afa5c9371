# must trigger: 1 minus the mean squared error
def told(seen, unseen, kept, cell):
    def inputs(maps):
        return torch.cat([maps[:, kept.bool()], torch.ones(len(maps), 1, dtype=maps.dtype)], 1)

    weights = torch.linalg.lstsq(inputs(seen), seen[:, [cell]]).solution
    error = (unseen[:, [cell]] - inputs(unseen) @ weights).square().mean().sqrt()
    return float(1 - error / unseen[:, cell].std(correction=0))
