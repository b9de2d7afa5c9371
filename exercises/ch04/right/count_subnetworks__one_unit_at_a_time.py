def count_subnetworks(widths):
    count = 1
    for width in widths:
        for _ in range(width):
            count += count
    return count
