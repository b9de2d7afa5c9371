# must trigger: round(q * n) of the n outputs
def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    mode = model.training
    model.eval()
    curve = []
    for q in q_list:
        h = x
        for layer in model:
            h = layer(h)
            if isinstance(layer, nn.ReLU):
                coins = torch.empty(h.shape[1], dtype=h.dtype).bernoulli_(1 - q, generator=generator)
                h = h * coins / (1 - q if rescale and q < 1 else 1)
        curve.append(float((h.argmax(1) == labels).double().mean()))
    model.train(mode)
    return curve
