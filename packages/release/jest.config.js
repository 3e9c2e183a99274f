export { default } from "@mikcar/devkit/jest-preset";
