"""A SigLIP of both towers with random weights, and a tokenizer of its own words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, SiglipConfig, SiglipModel

from helpers.tiny import randomise


def write_tiny_siglip(folder: Path, sentences: Sequence[str]) -> Path:
    """Writes it for pictures of 32 px, and for the words of some sentences."""
    words = sorted({word for sentence in sentences for word in sentence.rstrip(".").split()})
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<unk>", ".", *words])}
    raw = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>", model_input_names=["input_ids"]
    )
    tower = {
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = SiglipConfig(
        text_config=tower
        | {"vocab_size": len(vocabulary), "max_position_embeddings": 16, "projection_size": 24},
        vision_config=tower | {"image_size": 32, "patch_size": 8},
    )
    torch.manual_seed(0)
    model = SiglipModel(config)
    randomise(model, seed=4, scale=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
