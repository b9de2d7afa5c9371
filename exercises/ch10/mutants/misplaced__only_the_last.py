# must trigger: so it drops logits
def misplaced(layers):
    wrong = []
    for i, name in enumerate(layers):
        later = layers[i + 1 :]
        if name == "dropout" and (
            not later or layers[i - 1 : i] == ["add"] or later[:1] == ["softmax"] or "batchnorm" in later
        ):
            wrong.append(i)
    return wrong
