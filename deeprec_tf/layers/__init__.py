"""Layers: tensors in, tensors out. No feature column is known here."""

from deeprec_tf.layers.attention.additive_pooling import AdditivePooling
from deeprec_tf.layers.attention.attention_pooling import AttentionPoolingLayer
from deeprec_tf.layers.attention.bilinear_attention import BilinearAttention
from deeprec_tf.layers.attention.causal_attention import CausalAttention
from deeprec_tf.layers.attention.causal_block import CausalBlock
from deeprec_tf.layers.attention.causal_decoder import CausalDecoder
from deeprec_tf.layers.attention.hstu_block import HSTUBlock
from deeprec_tf.layers.attention.local_activation_unit import LocalActivationUnit
from deeprec_tf.layers.attention.multi_head_self_attention import MultiHeadSelfAttention
from deeprec_tf.layers.attention.relative_bias import RelativeBias
from deeprec_tf.layers.attention.self_attentive_interests import SelfAttentiveInterests
from deeprec_tf.layers.attention.session_interest import SessionInterest
from deeprec_tf.layers.attention.transformer_block import TransformerBlock
from deeprec_tf.layers.core.activations import PReLU, activation_layer
from deeprec_tf.layers.core.dense_fields import DenseFields
from deeprec_tf.layers.core.dice import Dice
from deeprec_tf.layers.core.dropout import Dropout
from deeprec_tf.layers.core.fused_embedding import FusedEmbedding
from deeprec_tf.layers.core.gelu import exact_gelu
from deeprec_tf.layers.core.hash_ids import HashIds
from deeprec_tf.layers.core.masking import PaddingMask, masked_softmax
from deeprec_tf.layers.core.mlp import MLP
from deeprec_tf.layers.core.prediction import PredictionLayer
from deeprec_tf.layers.core.row_numbers import RowNumbers, RowPart
from deeprec_tf.layers.core.sequence_pooling import SequencePooling
from deeprec_tf.layers.core.table_embedding import TableEmbedding
from deeprec_tf.layers.core.unit_length import UnitLength
from deeprec_tf.layers.generative.alignment_loss import AlignmentLoss
from deeprec_tf.layers.generative.code_decoder import CodeDecoder
from deeprec_tf.layers.generative.code_tokens import CodeTokens
from deeprec_tf.layers.generative.content_sequence import ContentSequence
from deeprec_tf.layers.generative.item_generator import ItemGenerator
from deeprec_tf.layers.generative.prefix_tables import PrefixTables
from deeprec_tf.layers.generative.prepend_step import PrependStep
from deeprec_tf.layers.generative.relative_position_bias import RelativePositionBias
from deeprec_tf.layers.generative.residual_quantizer import ResidualQuantizer
from deeprec_tf.layers.generative.t5_attention import T5Attention
from deeprec_tf.layers.generative.t5_block import T5Block
from deeprec_tf.layers.generative.t5_encoder import T5Encoder
from deeprec_tf.layers.interaction.bi_interaction import BiInteraction
from deeprec_tf.layers.interaction.bilinear_fusion import BilinearFusion
from deeprec_tf.layers.interaction.bilinear_pairs import BilinearPairs
from deeprec_tf.layers.interaction.bridge import Bridge
from deeprec_tf.layers.interaction.cin import CIN
from deeprec_tf.layers.interaction.feature_gate import FeatureGate
from deeprec_tf.layers.interaction.field_normalization import FieldNormalization
from deeprec_tf.layers.interaction.field_weighted_fm import FieldWeightedFM
from deeprec_tf.layers.interaction.fm import FM
from deeprec_tf.layers.interaction.gated_cross import GatedCross
from deeprec_tf.layers.interaction.inner_products import InnerProducts
from deeprec_tf.layers.interaction.interacting import InteractingLayer
from deeprec_tf.layers.interaction.kernel_products import KernelProducts
from deeprec_tf.layers.interaction.mask_block import MaskBlock
from deeprec_tf.layers.interaction.matrix_cross import MatrixCross
from deeprec_tf.layers.interaction.mixture_cross import MixtureCross
from deeprec_tf.layers.interaction.outer_product import OuterProduct
from deeprec_tf.layers.interaction.pair_attention import PairAttention
from deeprec_tf.layers.interaction.regulation_gate import RegulationGate
from deeprec_tf.layers.interaction.senet import SENET
from deeprec_tf.layers.interaction.vector_cross import VectorCross
from deeprec_tf.layers.multitask.dynamic_weight_average import DynamicWeightAverage
from deeprec_tf.layers.multitask.expert_gate import ExpertGate
from deeprec_tf.layers.multitask.grad_norm import GradNorm
from deeprec_tf.layers.multitask.information_transfer import InformationTransfer
from deeprec_tf.layers.multitask.joint_logit import JointLogit
from deeprec_tf.layers.multitask.loss_balance import LossBalance
from deeprec_tf.layers.multitask.meta_balance import MetaBalance
from deeprec_tf.layers.multitask.order_penalty import OrderPenalty
from deeprec_tf.layers.multitask.pcgrad import PCGrad
from deeprec_tf.layers.multitask.uncertainty_weighting import UncertaintyWeighting
from deeprec_tf.layers.recurrent.bi_lstm import BiLSTM
from deeprec_tf.layers.recurrent.dynamic_gru import DynamicGRU
from deeprec_tf.layers.retrieval.all_items import AllIds, BatchItems, ItemFeatures, KeepTogether
from deeprec_tf.layers.retrieval.append_one import AppendOne
from deeprec_tf.layers.retrieval.catalogue_loss import CatalogueLoss
from deeprec_tf.layers.retrieval.dot_score import DotScore
from deeprec_tf.layers.retrieval.flat_items import FlatItems, ItemsInPlace
from deeprec_tf.layers.retrieval.generative_loss import GenerativeLoss
from deeprec_tf.layers.retrieval.graph_propagation import GraphPropagation
from deeprec_tf.layers.retrieval.graph_rows import GraphPenalty, GraphRows
from deeprec_tf.layers.retrieval.interests import LabelAwareAttention, UsedInterests
from deeprec_tf.layers.retrieval.item_probability import ItemProbability
from deeprec_tf.layers.retrieval.masked_items import (
    HiddenSteps,
    MaskToken,
    OneMoreMask,
    OneMoreStep,
)
from deeprec_tf.layers.retrieval.next_step import LastStep, NextStep
from deeprec_tf.layers.retrieval.propagated_embedding import PropagatedEmbedding
from deeprec_tf.layers.retrieval.retrieval_loss import RetrievalLoss
from deeprec_tf.layers.retrieval.sampled_items import SampledItems
from deeprec_tf.layers.retrieval.streaming_frequency import StreamingFrequency
from deeprec_tf.layers.retrieval.vector_memory import VectorMemory
from deeprec_tf.layers.sequence.action_loss import ActionLoss
from deeprec_tf.layers.sequence.dynamic_routing import DynamicRouting
from deeprec_tf.layers.sequence.flat_steps import FlatSteps
from deeprec_tf.layers.sequence.interleaved import Interleaved
from deeprec_tf.layers.sequence.learned_positions import LearnedPositions
from deeprec_tf.layers.sequence.learned_vector import LearnedVector
from deeprec_tf.layers.sequence.next_behavior_loss import NextBehaviorLoss
from deeprec_tf.layers.sequence.prototype_assignment import PrototypeAssignment
from deeprec_tf.layers.sequence.prototype_selection import (
    PrototypeCovariance,
    PrototypeSelection,
)
from deeprec_tf.layers.sequence.session_bias import SessionBias
from deeprec_tf.layers.sequence.stochastic_length import StochasticLength, TakenSteps
from deeprec_tf.layers.sequence.target_distance import TargetDistance
from deeprec_tf.layers.sequence.with_context import WithContext
from deeprec_tf.layers.text.backbone_decoder import BackboneDecoder
from deeprec_tf.layers.text.cosine_logit import CosineLogit
from deeprec_tf.layers.text.each_text_once import EachTextOnce
from deeprec_tf.layers.text.item_state import ItemState
from deeprec_tf.layers.text.text_encoder import TextEncoder

__all__ = [
    "GenerativeLoss",
    "LearnedVector",
    "EachTextOnce",
    "ItemState",
    "BackboneDecoder",
    "CausalDecoder",
    "ActionLoss",
    "AdditivePooling",
    "AlignmentLoss",
    "AllIds",
    "AppendOne",
    "AttentionPoolingLayer",
    "BatchItems",
    "BiInteraction",
    "BiLSTM",
    "BilinearAttention",
    "BilinearFusion",
    "BilinearPairs",
    "Bridge",
    "CIN",
    "CatalogueLoss",
    "CausalAttention",
    "CausalBlock",
    "CodeDecoder",
    "CodeTokens",
    "ContentSequence",
    "CosineLogit",
    "DenseFields",
    "Dice",
    "DotScore",
    "Dropout",
    "DynamicGRU",
    "DynamicRouting",
    "DynamicWeightAverage",
    "ExpertGate",
    "FM",
    "FeatureGate",
    "FieldNormalization",
    "FieldWeightedFM",
    "FlatItems",
    "FlatSteps",
    "FusedEmbedding",
    "GatedCross",
    "GradNorm",
    "GraphPenalty",
    "GraphPropagation",
    "GraphRows",
    "HSTUBlock",
    "HashIds",
    "HiddenSteps",
    "InformationTransfer",
    "InnerProducts",
    "InteractingLayer",
    "Interleaved",
    "ItemFeatures",
    "ItemGenerator",
    "ItemProbability",
    "ItemsInPlace",
    "JointLogit",
    "KeepTogether",
    "KernelProducts",
    "LabelAwareAttention",
    "LastStep",
    "LearnedPositions",
    "LocalActivationUnit",
    "LossBalance",
    "MLP",
    "MaskBlock",
    "MaskToken",
    "MatrixCross",
    "MetaBalance",
    "MixtureCross",
    "MultiHeadSelfAttention",
    "NextBehaviorLoss",
    "NextStep",
    "OneMoreMask",
    "OneMoreStep",
    "OrderPenalty",
    "OuterProduct",
    "PCGrad",
    "PReLU",
    "PaddingMask",
    "PairAttention",
    "PredictionLayer",
    "PrefixTables",
    "PrependStep",
    "PropagatedEmbedding",
    "PrototypeAssignment",
    "PrototypeCovariance",
    "PrototypeSelection",
    "RegulationGate",
    "RelativeBias",
    "RelativePositionBias",
    "ResidualQuantizer",
    "RetrievalLoss",
    "RowNumbers",
    "RowPart",
    "SENET",
    "SampledItems",
    "SelfAttentiveInterests",
    "SequencePooling",
    "SessionBias",
    "SessionInterest",
    "StochasticLength",
    "StreamingFrequency",
    "T5Attention",
    "T5Block",
    "T5Encoder",
    "TableEmbedding",
    "TakenSteps",
    "TargetDistance",
    "TextEncoder",
    "TransformerBlock",
    "UncertaintyWeighting",
    "UnitLength",
    "UsedInterests",
    "VectorCross",
    "VectorMemory",
    "WithContext",
    "activation_layer",
    "exact_gelu",
    "masked_softmax",
]
