# must trigger: however deep they are
def mc_passes(model, x, samples):
    flags = {module: module.training for module in model.modules()}
    model.eval()
    for module in model.children():
        module.training = isinstance(module, torch.nn.modules.dropout._DropoutNd)
    with torch.no_grad():
        out = torch.stack([model(x).softmax(-1) for _ in range(samples)])
    for module, flag in flags.items():
        module.training = flag
    return out
