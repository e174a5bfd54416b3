/** `npm run model`: trains, evaluates and explains churn models. */
