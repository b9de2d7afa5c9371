# must trigger: leaves hooks behind
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    mode = model.training
    model.eval()
    curve = []
    for q in q_list:

        def remove(module, args, output, q=q):
            n = output.shape[1]
            kept = torch.ones(n, dtype=output.dtype)
            kept[torch.randperm(n, generator=generator)[: round(q * n)]] = 0
            return output * kept / (kept.mean() if rescale and q < 1 else 1)

        for layer in model:
            if isinstance(layer, nn.ReLU):
                layer.register_forward_hook(remove)
        curve.append(float((model(x).argmax(1) == labels).double().mean()))
    model.train(mode)
    return curve
