def ablation_curve(model, x, labels, q_list, rescale=False, generator=None):
    was_training = model.training
    model.eval()
    accuracies = []
    for q in q_list:

        def remove(module, args, output, q=q):
            n = output.shape[-1]
            left = n - round(q * n)
            kept = torch.zeros(n, dtype=output.dtype)
            kept[torch.randperm(n, generator=generator)[:left]] = n / left if rescale and left else 1
            return output * kept

        handles = [m.register_forward_hook(remove) for m in model.modules() if isinstance(m, nn.ReLU)]
        with torch.inference_mode():
            accuracies.append((model(x).argmax(-1) == labels).float().mean())
        for handle in handles:
            handle.remove()
    model.train(was_training)
    return torch.stack(accuracies)
