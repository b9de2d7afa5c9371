# must trigger: R² on the images that the fit has seen
def told(seen, unseen, kept, cell):
    def inputs(maps):
        return torch.cat([maps[:, kept.bool()], torch.ones(len(maps), 1, dtype=maps.dtype)], 1)

    weights = torch.linalg.lstsq(inputs(seen), seen[:, [cell]]).solution
    error = (seen[:, [cell]] - inputs(seen) @ weights).square().mean()
    return float(1 - error / seen[:, cell].var(correction=0))
