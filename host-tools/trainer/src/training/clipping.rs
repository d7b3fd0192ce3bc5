//! Gradients that are not allowed to explode.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales all gradients down to a norm where together they have a larger one (Pascanu et al. 2013), as PyTorch's
/// `clip_grad_norm_` does.
pub(super) fn clip_norm<M: Module>(gradients: GradientsParams, module: &M, largest: f64) -> GradientsParams {
    let mut measure = Measure { gradients, squares: 0.0 };
    module.visit(&mut measure);
    let factor = largest / (measure.squares.sqrt() + 1e-6);
    if factor >= 1.0 {
        return measure.gradients;
    }
    let mut scale = Scale { gradients: measure.gradients, factor };
    module.visit(&mut scale);
    scale.gradients
}

struct Measure {
    gradients: GradientsParams,
    squares: f64,
}

impl ModuleVisitor for Measure {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.squares += f64::from((gradient.clone() * gradient).sum().into_scalar::<f32>());
        }
    }
}

struct Scale {
    gradients: GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        a: Param<Tensor<1>>,
        b: Param<Tensor<2>>,
    }

    #[test]
    fn the_norm_of_all_gradients_together_is_held() {
        let device = Device::flex().autodiff();
        let data = |values: Vec<f32>, shape: Vec<usize>| TensorData::new(values, shape);
        let a = Param::from_data(data(vec![0.0; 2], vec![2]), &device);
        let module = Two { a, b: Param::from_data(data(vec![0.0; 2], vec![1, 2]), &device) };
        let gradients = |clip: f64| {
            // Slopes 1 and 5, 1 and 3: a norm of 6.
            let a = Tensor::<1>::from_data(data(vec![1.0, 5.0], vec![2]), &device);
            let b = Tensor::<2>::from_data(data(vec![1.0, 3.0], vec![1, 2]), &device);
            let loss = (module.a.val() * a).sum() + (module.b.val() * b).sum();
            let clipped = clip_norm(GradientsParams::from_grads(loss.backward(), &module), &module, clip);
            let a: Vec<f32> = clipped.get::<1>(module.a.id).unwrap().into_data().iter::<f32>().collect();
            let b: Vec<f32> = clipped.get::<2>(module.b.id).unwrap().into_data().iter::<f32>().collect();
            [a, b].concat()
        };
        assert_eq!(gradients(6.1), [1.0, 5.0, 1.0, 3.0]);
        for (clipped, full) in gradients(1.5).iter().zip([1.0, 5.0, 1.0, 3.0]) {
            assert!((clipped - full / 4.0).abs() < 1e-5, "{clipped} for {full}");
        }
    }
}
