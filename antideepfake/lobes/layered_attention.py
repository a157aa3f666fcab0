"""WavLM's attention as calls of its linear layers."""

import torch
from transformers.models.wavlm.modeling_wavlm import WavLMAttention


class LayeredAttention(WavLMAttention):
    """WavLM's attention, computed by calling its linear layers.

    That of ``transformers`` reads their weights without calling them: LoRA adapters or packed weights in their place
    would have no effect.
    """

    @classmethod
    def with_weights_of(cls, attention: WavLMAttention) -> "LayeredAttention":
        """Build from an attention of ``transformers``, with its settings and its very weights."""
        with torch.device("meta"):  # without memory, and without random numbers
            own = cls(
                attention.embed_dim,
                attention.num_heads,
                attention.dropout,
                attention.num_buckets,
                attention.max_distance,
                hasattr(attention, "rel_attn_embed"),
            )
        own.load_state_dict(dict(attention.named_parameters()), assign=True)
        return own

    def torch_multi_head_self_attention(  # type: ignore[override]
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None, gated_position_bias: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        """Attend over ``hidden_states`` ([batch, frames, size]); gives the same shape, and no attention weights."""
        query, key, value = (
            linear(hidden_states).unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)
            for linear in (self.q_proj, self.k_proj, self.v_proj)
        )
        bias = gated_position_bias.unflatten(0, (-1, self.num_heads)).to(query.dtype)
        if attention_mask is not None:
            bias = bias.masked_fill(~attention_mask[:, None, None, :], float("-inf"))
        attended = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, bias, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None
