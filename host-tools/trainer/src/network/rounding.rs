//! Weights and maps rounded to the codes that the compiler will give them (Jacob et al. 2018).

use burn::module::Param;
use burn::tensor::Tensor;

/// A weight with codes in -127..=127, with a scale for each row of `axis`, its output channels. Its gradients are those of
/// the weight: the straight-through estimator (Bengio et al. 2013).
pub(super) fn weight<const D: usize>(weight: &Param<Tensor<D>>, axis: usize) -> Param<Tensor<D>> {
    let values = weight.val().detach();
    let mut largest = values.clone().abs();
    for other in (0..D).filter(|other| *other != axis) {
        largest = largest.max_dim(other);
    }
    let scale = largest.div_scalar(127.0).clamp_min(1e-8);
    let rounded = ((values / scale.clone()).round() * scale).detach();
    let learns = weight.val().is_require_grad();
    Param::initialized(weight.id, rounded.set_require_grad(learns))
}

/// A map with 256 codes over its range in the batch, 0 among them. Gradients pass as if nothing was rounded.
pub(super) fn map<const D: usize>(map: Tensor<D>) -> Tensor<D> {
    let values = map.clone().detach();
    let low = values.clone().min().into_scalar::<f32>().min(0.0);
    let high = values.clone().max().into_scalar::<f32>().max(0.0);
    let scale = ((high - low) / 255.0).max(1e-8);
    let zero_point = (-low / scale).round();
    let codes = (values.clone().div_scalar(scale).add_scalar(zero_point)).round().clamp(0.0, 255.0);
    let rounded = codes.sub_scalar(zero_point).mul_scalar(scale);
    map + (rounded - values)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn rows_have_scales_of_their_own_and_gradients_pass() {
        let device = Device::flex().autodiff();
        let data = TensorData::new(vec![127.0_f32, 3.4, -0.6, 1.27, -0.634, 0.0], [2, 3]);
        let own: Param<Tensor<2>> = Param::from_data(data, &device);
        let rounded = weight(&own, 0);
        assert_eq!(rounded.id, own.id);
        let values: Vec<f32> = rounded.val().into_data().iter::<f32>().collect();
        for (found, expected) in values.iter().zip([127.0, 3.0, -1.0, 1.27, -0.63, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
        let gradients = (rounded.val() * rounded.val()).sum().backward();
        let slopes: Vec<f32> = rounded.val().grad(&gradients).unwrap().into_data().iter::<f32>().collect();
        assert_eq!(slopes, values.iter().map(|value| 2.0 * value).collect::<Vec<_>>());
    }

    #[test]
    fn a_map_keeps_zero_and_its_slope() {
        let device = Device::flex().autodiff();
        let data = TensorData::new(vec![-1.0_f32, 0.0, 0.5, 1.55], [1, 4]);
        let own = Tensor::<2>::from_data(data, &device).require_grad();
        let rounded = map(own.clone());
        let values: Vec<f32> = rounded.clone().into_data().iter::<f32>().collect();
        for (found, expected) in values.iter().zip([-1.0, 0.0, 0.5, 1.55]) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
        let slopes: Vec<f32> = own.grad(&rounded.sum().backward()).unwrap().into_data().iter::<f32>().collect();
        assert_eq!(slopes, [1.0; 4]);
    }
}
