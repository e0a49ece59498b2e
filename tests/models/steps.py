"""Many steps without the cost of an epoch each, which is that of tens of small steps."""


def losses_of_steps(model, batches):
    """The loss of each batch (features, or features and labels), a step of training on each."""
    losses = []
    for batch in batches:
        model.reset_metrics()  # else the loss is the mean of all so far
        inputs = batch if isinstance(batch, tuple) else (batch,)
        losses.append(float(model.train_on_batch(*inputs, return_dict=True)["loss"]))
    return losses
