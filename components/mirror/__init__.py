"""The image mirror: admissions, copies, and the account that copies across partitions."""

from components.mirror.events import ApiServer
from components.mirror.image_mirror_webhook import ImageMirrorWebhook, ImageMirrorWebhookArgs

__all__ = ["ApiServer", "ImageMirrorWebhook", "ImageMirrorWebhookArgs"]
