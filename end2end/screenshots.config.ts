// Not tests: makes the pictures of docs/images (scripts/screenshots).
import { defineConfig } from '@playwright/test';
import config from './playwright.config.ts';

const hydrated = config.projects?.filter(({ name }) => name === 'hydrated') ?? [];

export default defineConfig({ ...config, testDir: 'screenshots', reporter: 'list', projects: hydrated });
