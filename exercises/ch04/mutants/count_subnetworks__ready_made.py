# must trigger: calls the ready-made companion.ensembles.count_subnetworks
from companion.ensembles import count_subnetworks as ready


def count_subnetworks(widths):
    return ready(widths)
