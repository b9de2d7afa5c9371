import copy


def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    def accuracy(q):
        net = copy.deepcopy(model).eval()
        with torch.no_grad():
            for layer in [m for m in net if isinstance(m, nn.Linear)][1:]:
                n = layer.in_features
                removed = torch.rand(n, generator=generator).argsort()[: round(q * n)]
                layer.weight[:, removed] = 0
                if rescale and len(removed) < n:
                    layer.weight *= n / (n - len(removed))
            return float((net(x).argmax(1) == labels).double().mean())

    return [accuracy(q) for q in q_list]
