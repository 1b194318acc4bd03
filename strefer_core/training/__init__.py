"""Fine-tuning and training from scratch: data sets become batches, batches a model, resumable at any step."""
