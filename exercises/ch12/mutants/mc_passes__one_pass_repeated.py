# must trigger: all passes are the same
def mc_passes(model, x, samples):
    flags = {module: module.training for module in model.modules()}
    for module in flags:
        module.training = isinstance(module, torch.nn.modules.dropout._DropoutNd)
    with torch.no_grad():
        once = model(x).softmax(-1)
    for module, flag in flags.items():
        module.training = flag
    return once.expand(samples, *once.shape)
    with torch.no_grad():
        out = torch.stack([model(x).softmax(-1) for _ in range(samples)])
    for module, flag in flags.items():
        module.training = flag
    return out
