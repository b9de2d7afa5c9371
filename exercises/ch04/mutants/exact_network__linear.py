# must trigger: the logits are linear in x
def exact_network(x, mask):
    return (mask * (x @ into_hidden)) @ out_of_hidden
