//! The shapes of the five MLPerf Tiny networks (Banbury et al., 2021; the streaming wake word of its 1.3 release).

use nervelet_compiler::graph::Activation::{None, Relu};
use nervelet_compiler::graph::Graph;

use crate::network::Network;

/// A network's name in the table, and how it is built.
pub(crate) type Named = (&'static str, fn() -> Graph);

/// Every network.
pub(crate) const ALL: [Named; 5] = [
    ("keyword_spotting", keyword_spotting),
    ("visual_wake_words", visual_wake_words),
    ("image_classification", image_classification),
    ("anomaly_detection", anomaly_detection),
    ("streaming_wake_word", streaming_wake_word),
];

/// A depthwise separable CNN on 49 frames of 10 coefficients.
fn keyword_spotting() -> Graph {
    let mut network = Network::new("keyword_spotting", &[1, 49, 10, 1]);
    network.conv(64, [10, 4], [2, 2], Relu);
    for _ in 0..4 {
        network.depthwise([3, 3], [1, 1], true);
        network.conv(64, [1, 1], [1, 1], Relu);
    }
    network.global_average();
    network.dense(12, None);
    network.softmax();
    network.finish()
}

/// MobileNet v1 with a quarter of the width on 96 x 96 pixels.
fn visual_wake_words() -> Graph {
    let mut network = Network::new("visual_wake_words", &[1, 96, 96, 3]);
    network.conv(8, [3, 3], [2, 2], Relu);
    let blocks = [
        (16, 1),
        (32, 2),
        (32, 1),
        (64, 2),
        (64, 1),
        (128, 2),
        (128, 1),
        (128, 1),
        (128, 1),
        (128, 1),
        (128, 1),
        (256, 2),
        (256, 1),
    ];
    for (channels, stride) in blocks {
        network.depthwise([3, 3], [stride, stride], true);
        network.conv(channels, [1, 1], [1, 1], Relu);
    }
    network.global_average();
    network.dense(2, None);
    network.softmax();
    network.finish()
}

/// ResNet v1 with 8 layers on 32 x 32 pixels.
fn image_classification() -> Graph {
    let mut network = Network::new("image_classification", &[1, 32, 32, 3]);
    network.conv(16, [3, 3], [1, 1], Relu);
    for (channels, stride) in [(16, 1), (32, 2), (64, 2)] {
        let before = network.here();
        network.conv(channels, [3, 3], [stride, stride], Relu);
        network.conv(channels, [3, 3], [1, 1], None);
        let branch = network.go_to(before);
        if stride > 1 {
            network.conv(channels, [1, 1], [stride, stride], None);
        }
        network.add(branch);
    }
    network.global_average();
    network.dense(10, None);
    network.softmax();
    network.finish()
}

/// A dense autoencoder on five frames of 128 bands.
fn anomaly_detection() -> Graph {
    let mut network = Network::new("anomaly_detection", &[1, 640]);
    for units in [128, 128, 128, 128, 8, 128, 128, 128, 128] {
        network.dense(units, Relu);
    }
    network.dense(640, None);
    network.finish()
}

/// Depthwise separable convolutions along 30 frames of 40 bands.
fn streaming_wake_word() -> Graph {
    let mut network = Network::new("streaming_wake_word", &[1, 30, 1, 40]);
    for (kernel, channels) in [(3, 128), (5, 128), (10, 128), (15, 32)] {
        network.depthwise([kernel, 1], [1, 1], false);
        network.conv(channels, [1, 1], [1, 1], Relu);
    }
    network.dense(3, None);
    network.softmax();
    network.finish()
}
